"""How far a process is: what a Process Controller carries from hop to hop, and keeps."""
