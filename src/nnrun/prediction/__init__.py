"""Predictions and evaluations of finished runs, and of ensembles of them.

member       a checkpoint of a run, or an average that the run kept (averaged)
models       a member's model, ready to predict
inputs       new inputs as each member reads them
by_member    predictions of members, one after another
combiner     ways to average predictions
folder       what makes a run folder one of an ensemble
reading      that folder as something that predicts and can be evaluated
adjustment   what the validation part says: width of intervals, temperature
predict      predictions for new inputs or a part of the data
inquiry      those as they are asked for, by the command and in Python
output       predictions as files
predictor    a trained model as an object: what `nnrun.load` returns
folds        members that are folds; folds_evaluation, out_of_fold
request      what an evaluation is asked for
evaluation   metrics on new examples; piecewise, per_class
"""
