/** What a fleet has to bear. */

/** Share of what BullMQ alone does, MiB of memory, milliseconds. */
export const TARGETS = { ratio: 0.6, coordinatorMiB: 200, psMs: 500 } as const;

export interface Judged {
  readonly ratio: number;
  readonly coordinators: readonly { readonly rssMiB: number }[];
  readonly answers: { readonly psMs: number };
}

/** In words, those that were not reached. */
export function missedTargets({ ratio, coordinators, answers }: Judged): string[] {
  const largest = Math.max(...coordinators.map(({ rssMiB }) => rssMiB));
  return [
    ...(ratio < TARGETS.ratio ? [`${ratio} of what BullMQ alone does, ${TARGETS.ratio} are wanted`] : []),
    ...(largest >= TARGETS.coordinatorMiB ? [`a coordinator took ${largest} MiB`] : []),
    ...(answers.psMs >= TARGETS.psMs ? [`cmt ps took ${answers.psMs} ms`] : []),
  ];
}
