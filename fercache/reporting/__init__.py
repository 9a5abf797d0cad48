"""What people and machines read. `page.write_report` writes it, from records alone."""
