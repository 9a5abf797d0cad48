"""How often tests of differences find one where there is none, and how often where there is one."""
