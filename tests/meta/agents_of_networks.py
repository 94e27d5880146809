"""The project's networks as agents: a few lines each, which is all that joins models to meta-learning."""

from attnjax.meta.rl import Agent, Categorical, Decision, Normal, feed_forward, recurrent


def discrete(acted):
    return Decision(Categorical(acted.actions), acted.value)


def continuous(acted):
    return Decision(Normal(acted.actions, acted.log_scale), acted.value)


def recurrent_agent(net, decide=discrete):
    def step(params, memory, observation):
        memory, acted = net.apply(params, memory, observation)
        return memory, decide(acted)

    return recurrent(step, net.initial())


def history_agent(net, decide=discrete):
    def replay(params, observations, starts):
        return decide(net.apply(params, observations, starts, method=net.replay))

    return Agent(recurrent_agent(net, decide).step, replay, net.initial())


def feed_forward_agent(net, decide=continuous):
    return feed_forward(lambda params, observation: decide(net.apply(params, observation)))
