/** A lab that cannot be had, said so that the reader knows what to do. */
export class LabError extends Error {
  override name = 'LabError';
}
