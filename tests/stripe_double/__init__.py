"""A double of Stripe's API: an HTTP server over a small business in memory.

Every request is validated against Stripe's own OpenAPI description, and every object that is
answered as well.  business.Business is the Python side: it makes customers, subscriptions, refunds,
disputes and lets time pass; server.StripeDouble serves it.
"""
