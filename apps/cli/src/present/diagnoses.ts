/** Findings of `cmt doctor` for people: the worst last, where the eye is. */
import type { Diagnosis, DiagnosisLevel } from '@cmt/contracts';
import { oneLine, type Paint } from './paint.ts';

const MARKS: Readonly<Record<DiagnosisLevel, string>> = {
  ok: 'ok     ',
  note: 'note   ',
  warning: 'warning',
  problem: 'problem',
};
const ORDER: readonly DiagnosisLevel[] = ['ok', 'note', 'warning', 'problem'];

export function diagnosesText(diagnoses: readonly Diagnosis[], paint: Paint): string {
  const sorted = [...diagnoses].sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
  const lines = sorted.map((each) => lineOf(each, paint));
  return `${lines.join('')}${summary(diagnoses, paint)}`;
}

function lineOf({ level, about, message, remedy }: Diagnosis, paint: Paint): string {
  const mark = painted(level, paint)(MARKS[level]);
  const advice = remedy === '' ? '' : `         ${paint.dim(oneLine(remedy))}\n`;
  return `${mark}  ${oneLine(about)}: ${oneLine(message)}\n${advice}`;
}

function painted(level: DiagnosisLevel, paint: Paint): (text: string) => string {
  if (level === 'ok') return paint.green;
  if (level === 'note') return paint.dim;
  return level === 'warning' ? paint.yellow : paint.red;
}

function summary(diagnoses: readonly Diagnosis[], paint: Paint): string {
  const count = (level: DiagnosisLevel): number => diagnoses.filter((each) => each.level === level).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (problems + warnings === 0) return paint.green('All is well.\n');
  return `${problems} problem${problems === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}\n`;
}
