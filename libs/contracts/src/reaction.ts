/** One entry of the error catalogue, and what the saga makes of a failure. */

/**
 * What the saga does with a failure:
 * `refuse` – nothing was changed yet, end; `retry` – try the step again, then roll back; `rollback` – undo now;
 * `operator` – stop and ask a person; `cancelled` – somebody asked for the end.
 */
export type Reaction = 'refuse' | 'retry' | 'rollback' | 'operator' | 'cancelled';

export interface Entry {
  /** One sentence; `{name}` places are filled from the failure's details. */
  readonly message: string;
  /** What the reader can do about it. */
  readonly remedy: string;
  readonly reaction: Reaction;
}

/** An entry of the catalogue. */
export const entry = (reaction: Reaction, message: string, remedy: string): Entry => ({
  message,
  remedy,
  reaction,
});
