/** What a failed promise is called. */

/** The code of the CmtError that a promise rejects with; fails when it does not reject. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => 'it did not fail',
    (why: unknown) => why,
  );
  const failure = (error as { failure?: { code: string } }).failure;
  return failure?.code ?? String(error);
}
