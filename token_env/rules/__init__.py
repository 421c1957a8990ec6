"""Define the task: problems, observations, rewards, masks and transitions, without any framework."""
