/** `--dst` as a host, as `auto`, or as labels that the target must have. */
import { LabelName, LabelValue, UNPLACED, type Labels, type Place } from '@cmt/contracts';
import { invalid } from './invalid.ts';
import { parseLocation } from './location.ts';

/** A target as it was typed: a host, or what is looked for. */
export interface Target {
  readonly host: string;
  readonly bundle?: string;
  readonly place?: Place;
}

/** A name and `=`, before any `:` of a host’s path. */
const LABEL = /^[\w./-]*=/;

/** @param typed one use of the flag each. @throws {CmtError} REQUEST_INVALID naming `flag` */
export function parseTarget(flag: string, typed: readonly string[]): Target {
  const [only = ''] = typed;
  if (typed.some((text) => LABEL.test(text)))
    return { host: UNPLACED, place: { labels: parseLabels(flag, typed), avoid: [] } };
  if (typed.length > 1) throw invalid(flag, 'only labels may be given more than once');
  const location = parseLocation(flag, only);
  return location.host === UNPLACED ? { ...location, place: { labels: {}, avoid: [] } } : location;
}

/** `zone=a,disk=ssd`, again and again. @throws {CmtError} REQUEST_INVALID naming `flag` */
export function parseLabels(flag: string, typed: readonly string[]): Labels {
  const labels: Record<string, string> = {};
  for (const text of typed.flatMap((list) => list.split(','))) {
    const [name = '', ...rest] = text.split('=');
    const value = rest.join('=');
    const isLabel =
      rest.length > 0 && LabelName.safeParse(name).success && LabelValue.safeParse(value).success;
    if (!isLabel) throw invalid(flag, `'${text}' is no label; write name=value`);
    if (labels[name] !== undefined && labels[name] !== value)
      throw invalid(flag, `${name} cannot be both ${labels[name]} and ${value}`);
    labels[name] = value;
  }
  return labels;
}
