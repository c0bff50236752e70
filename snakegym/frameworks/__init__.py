"""Snake Learning and the frameworks that it is compared with: one file each, one accounting for all."""
