"""The project's networks as agents: a few lines each, which is all that joins models to meta-learning."""

from attnjax.meta.rl import Agent, Categorical, Decision, recurrent


def discrete(acted):
    return Decision(Categorical(acted.actions), acted.value)


def recurrent_agent(net, decide=discrete):
    def step(params, memory, observation):
        memory, acted = net.apply(params, memory, observation)
        return memory, decide(acted)

    return recurrent(step, net.initial())


def history_agent(net, decide=discrete):
    def replay(params, observations, starts):
        return decide(net.apply(params, observations, starts, method=net.replay))

    return Agent(recurrent_agent(net, decide).step, replay, net.initial())
