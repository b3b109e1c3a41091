"""Ensembles: members found and checked, their predictions or parameters averaged, and what it gained.

members   which checkpoints, and whether they go together
models    a member's model, ready to predict
average   averages of predictions
weights   weights fitted on validation data
soup      averages of parameters
line      the loss along the line between two members
account   what the ensemble gained, with intervals
make      all of it, into a run folder
write     that folder
reading   an ensemble's folder as something that predicts
"""
