"""What A2C, DQN and recurrent PPO need to know which actions are legal: their own libraries take no masks."""
