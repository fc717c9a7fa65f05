"""An artificial neural network with ReLU as a spiking one: thresholds, weights, accuracy by time.

The rate of an integrate-and-fire neuron that subtracts its threshold is a ReLU of what it takes on
average, up to one spike a step. The greatest activation of a layer is what its spikes stand for.
"""
