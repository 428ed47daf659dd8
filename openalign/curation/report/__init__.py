"""What a curation tells of itself: report.json and report.html."""
