export * from './converge.ts';
export * from './predict.ts';
export * from './decide.ts';
export * from './evolve.ts';
export * from './judge.ts';
export type { Patience } from './limits.ts';
export { placedAt } from './placing.ts';
export * from './plan.ts';
export * from './rebuilt.ts';
export * from './perhaps-behind.ts';
export * from './tidying.ts';
export * from './report.ts';
export { sagaIn } from './stored.ts';
export {
  canTurnBack,
  initial,
  isCommitted,
  standsStill,
  type Journals,
  type Peer,
  type Placement,
  type Saga,
  type SagaEvent,
  type Stage,
} from './state.ts';
