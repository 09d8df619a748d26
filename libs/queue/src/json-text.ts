/** What Redis holds as text, read without trust: a damaged record is one that does not fit, never an exception. */
import { z } from 'zod';

/** Text that is JSON, and fits. */
export const jsonText = <T>(schema: z.ZodType<T>) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue('it is not JSON');
        return z.NEVER;
      }
    })
    .pipe(schema);
