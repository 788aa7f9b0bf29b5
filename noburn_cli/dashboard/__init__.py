"""`noburn dashboard`: the ledger and the open runs as a page on this machine.

Layer: beside enforce.gateway, below commands.dashboard.  Below: reports, client, render's data.

    access      who may ask: token, cookie, Host and Origin (pure)
    periods     today, this month and what comes before them (pure)
    figures     what the ledger's file says, kept while nothing is written
    live        what the daemon says now, told to every page that listens
    changes     the few things that may be done, only with --allow-changes
    pages       the page, its assets, and the headers that every answer carries
    margins     what customers pay beside it, kept likewise
    sharing     long questions asked once, by however many pages
    server      routes and errors                    serving   sockets and signals

The page's own files are in `assets`; they come from here alone, and so does all that it shows.
"""
