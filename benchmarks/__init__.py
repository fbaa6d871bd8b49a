"""
What Miroir costs, as ratios.

    make bench                       everything
    python -m benchmarks search      one benchmark, or several

Rules:
- A figure is a ratio to a reference that was measured in the same run, in alternating rounds;
  medians count. Absolute times stand beside it as explanation only and are stored nowhere.
- CPU is preferred to wall time: it means the same on a busy machine.
- A target is printed with its figure; one that is missed makes the exit status 1.

One file is one benchmark: a function `figures()` that yields `Figure`s. What they share: figures
(medians, the line that is printed), samples (documents and answers), stub (nodes that cost
nothing), proxy (a Miroir in front of them, its CPU, the load). No test runs them.
"""
