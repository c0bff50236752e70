"""Planning by mathematical programming: who trains which layer and when."""
