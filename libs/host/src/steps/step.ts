/** The shape of every step of a host: input and context in, output out. */
import type { StepInput, StepName, StepOutput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';

/**
 * Runs one step. It begins with "already done?" and can be run twice; it throws CmtError for a catalogued failure,
 * and anything else when the machinery broke.
 */
export type Step<N extends StepName> = (input: StepInput<N>, context: StepContext) => Promise<StepOutput<N>>;

/** One executor for every name in the table: a missing one does not compile. */
export type Steps = { readonly [N in StepName]: Step<N> };
