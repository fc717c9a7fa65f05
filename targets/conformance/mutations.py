# -------------------------------------------------------------------- the smallest changes
def _neuron(net: Network, **changes: Any) -> Network:
    name = net.output
    return replace(net, nodes={**net.nodes, name: replace(net.neurons[name], **changes)})


def one_higher_threshold(net: Network, channel: int = 0) -> Network:
    """One threshold is raised by one unit: of a channel of the first layer, whose spikes all the others depend on."""
    name, neuron = next(iter(net.neurons.items()))
    raised = neuron.threshold + np.eye(neuron.threshold.size, dtype=np.int32)[channel]
    return replace(net, nodes={**net.nodes, name: replace(neuron, threshold=raised)})


def changed_weight(net: Network) -> Network:
    """One weight that hears the input has the other sign; where its kind has steps of one, it is changed by one."""
    name = next(n for n in net.order if isinstance(net.nodes[n], (Conv2d, Linear)))
    node: Any = net.nodes[name]
    weight = node.weight.copy()
    weight.flat[-1] += -2 * weight.flat[-1] if node.kind == "binary" else 1 if weight.flat[-1] < 1 else -1
    return replace(net, nodes={**net.nodes, name: replace(node, weight=weight)})


def changed_decay(net: Network) -> Network:
    """The output layer leaks a little more: by one unit of its numerator, or by one bit less of its shift."""
    how = net.neurons[net.output].fields
    if how.decay_form == "shift":
        other = replace(how, decay_shift=how.decay_shift - 1, decay_numerator=(1 << (how.decay_shift - 1)) - 1)
    else:
        other = replace(how, decay_numerator=how.decay_numerator - 1)
    return _neuron(net, arithmetic=other)


def dropped_bias(net: Network) -> Network:
    """The output layer has no bias."""
    return _neuron(net, bias=np.zeros_like(net.neurons[net.output].bias))


def changed_synapse(net: Network) -> Network:
    """The output layer's currents leak a little more, by one unit of the numerator."""
    synapse = net.neurons[net.output].synapse
    assert synapse is not None
    return _neuron(net, synapse=replace(synapse, decay_numerator=synapse.decay_numerator - 1))


def bias_to_the_other_state(net: Network) -> Network:
    """The output layer's bias goes to the synapse."""
    synapse = net.neurons[net.output].synapse
    assert synapse is not None
    return _neuron(net, synapse=replace(synapse, bias_to="synapse"))


MUTATIONS = (one_higher_threshold, changed_weight, changed_decay, dropped_bias)
SYNAPSE_MUTATIONS = (one_higher_threshold, changed_weight, changed_decay, dropped_bias, changed_synapse, bias_to_the_other_state)
