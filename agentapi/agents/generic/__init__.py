"""Any program on a terminal, by what terminal programs have in common."""
