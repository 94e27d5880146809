"""The peers, each in a module that only its own process imports, with the interpreter that has its packages."""
