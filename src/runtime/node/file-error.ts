/** What the system says of files, as a FileError in words. Node only. */
import { FileError } from '../errors.ts';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of disk space is used up',
  EFBIG: 'the file would be larger than the system allows',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'too many open files',
};

/** Anything else that was thrown is given back as it is. */
export function fileError(path: string, e: unknown, doing: 'read' | 'write'): unknown {
  if (e instanceof FileError || !(e instanceof Error) || !('code' in e) || typeof e.code !== 'string') return e;
  if (!/^E[A-Z]+$/.test(e.code)) return e;
  const absent = doing === 'read' ? 'there is no such file' : 'there is no such folder';
  const reason = e.code === 'ENOENT' ? absent : (REASONS[e.code] ?? e.code);
  return new FileError(path, doing, reason, e.code, { cause: e });
}
