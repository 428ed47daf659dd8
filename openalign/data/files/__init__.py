"""Files and bytes that strangers may have written: opened, checked and decoded safely."""
