"""Ensembles: members found and checked, their predictions or parameters averaged, and what it gained.

members      which checkpoints, and whether they go together
weights      weights fitted on validation data
blend        the average of predictions
parameters   averages of parameters as models
soup         which of them to average
line         the loss along the line between two members
scores       how good members are, example by example
gains        by how much the ensemble is better
account      what the ensemble gained, with intervals
make         all of it, into a run folder
write        that folder

What predicts with it afterwards is `nnrun.prediction`.
"""
