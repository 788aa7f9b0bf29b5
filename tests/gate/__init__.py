"""`noburn gate`, through its command line, on real git repositories."""
