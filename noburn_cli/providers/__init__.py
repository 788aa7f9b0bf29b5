"""One sans-IO wire codec per provider API: bytes in; a Call, its usage or edited bytes out.

Layer: providers.  Below: core, errors.  Standard library only, Python 3.10: it travels into guests.
"""
