/** Why a promise was rejected: the failure of an error of the catalogue, else the error; null when it was not. */
export const failureOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => null,
    (error: unknown) => (error as { failure?: unknown }).failure ?? error,
  );
