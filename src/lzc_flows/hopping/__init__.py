"""Sites of the mobile ion, the hops between them, and what follows from their barriers."""
