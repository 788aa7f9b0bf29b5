"""What `noburn demo` and the proofs run against: a provider on this machine that bills."""
