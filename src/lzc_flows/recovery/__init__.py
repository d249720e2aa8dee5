"""custodian jobs and error handlers, one list per kind of job."""
