"""What a run leaves for people to read: JSON, Markdown, and one page with plots that needs nothing else."""
