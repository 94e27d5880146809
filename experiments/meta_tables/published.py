"""What the papers print, to stand beside what was measured.

Sources: Finn, Abbeel and Levine (2017), Model-agnostic meta-learning, tables of the appendix; Duan et al. (2016), RL^2,
tables 1 and 2 (over 1,000 tasks).
"""

SINUSOID_SHOTS = 5
SINUSOID = {  # mean squared error with 5 shots: {row: {steps: error}}
    "multi_task": {1: 4.19, 5: 3.85, 10: 3.69},
    "pretraining": {1: 2.41, 5: 2.23, 10: 2.19},
    "maml": {1: 0.67, 5: 0.38, 10: 0.35},
}

POINT = {  # return before adaptation and after 1, 2 and 3 steps
    "maml": (-40.41, -11.68, -3.33, -3.23),
    "context": (-42.42, -13.90, -5.17, -3.18),
}

RL2_TASKS = 1000
"""Tasks that each number of the two tables below is the mean of."""

_BANDIT_PLAYERS = ("random", "whittle", "thompson", "likeliest_thompson", "ucb1", "epsilon_greedy", "greedy", "rl2")
_BANDITS = {  # (pulls, arms): total reward, in the order of the players above
    (10, 5): (5.0, 6.6, 5.7, 6.5, 6.7, 6.6, 6.6, 6.7),
    (10, 10): (5.0, 6.6, 5.5, 6.2, 6.7, 6.6, 6.6, 6.7),
    (10, 50): (5.1, 6.5, 5.2, 5.5, 6.6, 6.5, 6.5, 6.8),
    (100, 5): (49.9, 78.3, 74.7, 77.9, 78.0, 75.4, 74.8, 78.7),
    (100, 10): (49.9, 82.8, 76.7, 81.4, 82.4, 77.4, 77.1, 83.5),
    (100, 50): (49.8, 85.2, 64.5, 67.7, 84.3, 78.3, 78.0, 84.9),
    (500, 5): (249.8, 405.8, 402.0, 406.7, 405.8, 388.2, 380.6, 401.6),
    (500, 10): (249.0, 437.8, 429.5, 438.9, 437.1, 408.0, 395.0, 432.5),
    (500, 50): (249.6, 463.7, 427.2, 437.6, 457.6, 413.6, 402.8, 438.9),
}
BANDITS = {size: dict(zip(_BANDIT_PLAYERS, row, strict=True)) for size, row in _BANDITS.items()}

_PROCESS_PLAYERS = ("random", "psrl", "opsrl", "ucrl2", "beb", "epsilon_greedy", "greedy", "rl2")
_PROCESSES = {  # episodes: total reward, likewise
    10: (100.1, 138.1, 144.1, 146.6, 150.2, 132.8, 134.8, 156.2),
    25: (250.2, 408.8, 425.2, 424.1, 427.8, 377.3, 368.8, 445.7),
    50: (499.7, 904.4, 930.7, 918.9, 917.8, 823.3, 769.3, 936.1),
}
PROCESSES = {episodes: dict(zip(_PROCESS_PLAYERS, row, strict=True)) for episodes, row in _PROCESSES.items()}
