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

/** Text that is JSON, whatever it says. */
export const AnyJson = jsonText(z.unknown());

/** For whoever judges it later: what is not JSON comes as the text that it is, and fits nothing. */
export function jsonOrText(text: string): unknown {
  const parsed = AnyJson.safeParse(text);
  return parsed.success ? parsed.data : text;
}

/** Told of a record that a list leaves out because it is damaged, or in another format: its name, and what is wrong with it. */
export type Unreadable = (name: string, why: string) => void;
export const UNTOLD: Unreadable = () => undefined;

/** What is wrong with it, in one line: the first thing that does not fit, and where. */
export const problemOf = ({ issues: [issue] }: z.ZodError): string =>
  [issue?.path.join('.'), issue?.message].filter(Boolean).join(': ');
