export { candidatesOf, type FleetFacts } from './candidates.ts';
export { chooseTarget, rankTargets, whyChosen, type Choice } from './rank.ts';
export { needsOf, verdictOn, type Candidate, type Needs, type Reason, type Verdict } from './verdict.ts';
export { advanceDrain, beginDrain, requestOfMove, type DrainView } from './drain.ts';
export { rebalance, type Proposal } from './rebalance.ts';
export { isUnderOrder } from './under-order.ts';
export { hasLinkLimits, sharesOf, type Flow, type Shares } from './shares.ts';
export { isRate, limitKeys, parseLimits, placesOf, type PlaceWanted } from './limits.ts';
