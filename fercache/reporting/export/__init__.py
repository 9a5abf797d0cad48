"""Files for use outside of a report: CSV tables, tables for papers, and figure files."""
