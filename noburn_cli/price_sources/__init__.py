"""From the maintained sources of prices to a price book.

Layer: between prices and the commands.  Below: core, resources, errors; genai_prices inside
functions only (the extra `prices`), litellm's JSON as a file.
Above: commands.prices, tools/refresh_prices.py, which makes the book that ships.
Not here: the grammar of a price file (core.pricebook_file), where the files lie (prices).
"""
