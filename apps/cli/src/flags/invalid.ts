/** Errors about what was typed. */
import { CmtError } from '@cmt/contracts';

/** A flag or argument that cannot be used, as a catalogued failure. */
export const invalid = (flag: string, problem: string): CmtError =>
  new CmtError('REQUEST_INVALID', { problem: `${flag}: ${problem}` });
