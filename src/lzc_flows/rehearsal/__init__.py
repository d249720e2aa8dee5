"""A stand-in for VASP: its files and its manners, with the forces of a machine-learned potential."""
