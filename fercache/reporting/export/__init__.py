"""What leaves a report for elsewhere: CSV tables, tables for papers, and figure files."""
