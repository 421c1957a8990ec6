"""Define the task without any framework: problems, observations, rewards, masks and transitions."""
