"""The tools that people look at a system with, and all that those are told: rules, boards, configurations."""
