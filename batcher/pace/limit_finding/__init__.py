"""Finding the pace that the cloud allows: `finder.LimitFinder` puts the parts together.

    history   what was let in and turned away, and which limit fits that
    evidence  strays or a limit: both weighed against the traffic before each request
    closure   nothing leaves after a refusal, for how long, and when it is the whole scope that is told to wait
    cause     why it was closed, once there is room again: a pure function of all that is known then
    slowing   how far a pace is cut
    credit    how many refusals are put up with while nobody can tell
    climb     when the pace is raised, and to what
    paces     what a pace is called, measured, scaled

Two worked traces. *Odds* are of strays against a limit, as a logarithm: beyond 3, either way, it is certain.

A cloud without a limit turns a tenth of all requests away. Refusals close together look like a limit, so the pace is
halved; what is turned away at each pace that follows tells strays from one, and then the pace is kept:
`scripts/simulate-pace --trace --strays 0.1 --seed 7 --entries 80` prints

       2.5 s  turned away: 2, odds -2.1: the way may push requests together    5.00/s -> 5.00/s
       4.1 s  turned away: 1, odds -3.0: a little too fast                     5.00/s -> 2.50/s
       7.6 s  all let in: a step up                                            2.50/s -> 3.54/s
       8.6 s  turned away: 1, odds +2.1: it may be a stray                     3.54/s -> 3.54/s
      10.6 s  all let in: a step up                                            3.54/s -> 4.20/s
      12.8 s  all let in: a step up                                            4.20/s -> 4.71/s
      14.5 s  all let in: a step up                                            4.71/s -> 4.85/s
      16.3 s  all let in: a step up                                            4.85/s -> 5.00/s
      18.2 s  turned away: 1, odds +5.2: strays, and the scope was not closed  5.00/s -> 5.00/s
      19.3 s  turned away: 1, odds +5.3: strays, and the scope was not closed  5.00/s -> 5.00/s
      19.8 s  turned away: 1, odds +5.8: strays, and the scope was not closed  5.00/s -> 5.00/s
      22.8 s  turned away: 1, odds +5.8: strays, and the scope was not closed  5.00/s -> 5.00/s
      25.2 s  turned away: 1, odds +5.4: strays, and the scope was not closed  5.00/s -> 5.00/s

A limit of 6/s, where we keep to 10/s. Refusals come where much was sent shortly before and stop below 6/s, so the odds
fall, and the pace ends just below it:
`scripts/simulate-pace --trace --rate 10/s --limit 6/s --seed 1 --entries 90` prints

       1.9 s  turned away: 2, odds -2.0: the way may push requests together    10.00/s -> 10.00/s
       3.7 s  turned away: 2, odds -2.7: a little too fast                     10.00/s -> 7.33/s
       4.9 s  turned away: 1, odds -2.8: it may be a stray                     7.33/s -> 7.33/s
       5.3 s  all let in: a step up                                            7.33/s -> 8.56/s
       6.3 s  turned away: 2, odds -3.3: the step up was too much              8.56/s -> 7.33/s
       7.8 s  turned away: 1, odds -4.3: a little too fast                     7.33/s -> 6.11/s
      13.8 s  all let in: a step up                                            6.11/s -> 7.23/s
      14.8 s  turned away: 1, odds -6.2: the step up was too much              7.23/s -> 6.11/s
"""
