//! The subcommands of the program that are about files.

use wasip3::clocks::system_clock::Instant;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags,
};

use crate::program::{read_all, text, write};

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NOTHING: OpenFlags = OpenFlags::empty();

/// A path in a granted folder.
struct Place {
    folder: Descriptor,
    path: String,
}

impl Place {
    fn find(path: &str) -> Result<Self, String> {
        let mut folders = get_directories();
        // The longest name first.
        folders.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        for (folder, name) in folders {
            let rest = path.strip_prefix(name.trim_end_matches('/'));
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
                continue;
            };
            let path = match rest.trim_start_matches('/') {
                "" => ".".to_owned(),
                rest => rest.to_owned(),
            };
            return Ok(Self { folder, path });
        }
        Err(format!("{path}: not in a granted folder"))
    }

    async fn open(&self, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, String> {
        let opened = self.folder.open_at(FOLLOW, self.path.clone(), how, access);
        opened.await.map_err(text)
    }
}

async fn open(path: &str, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, String> {
    Place::find(path)?.open(how, access).await
}

async fn read(path: &str) -> Result<Vec<u8>, String> {
    let file = open(path, NOTHING, DescriptorFlags::READ).await?;
    let (stream, ended) = file.read_via_stream(0);
    let bytes = read_all(stream).await;
    ended.await.map_err(text)?;
    Ok(bytes)
}

/// Runs a subcommand, and returns what it prints. `None` if there is no such subcommand.
pub(crate) async fn run(command: &str, arguments: &[&str]) -> Result<Option<Vec<u8>>, String> {
    let mut printed = Vec::new();
    match (command, arguments) {
        ("read", [path]) => printed = read(path).await?,
        ("reread", [path, bytes, times]) => {
            let (bytes, times) = (bytes.parse::<usize>(), times.parse::<u32>());
            let (bytes, times) = (bytes.map_err(text)?, times.map_err(text)?);
            let mut n_read = 0;
            for _ in 0..times {
                let Ok(file) = open(path, NOTHING, DescriptorFlags::READ).await else {
                    continue;
                };
                let (mut stream, _) = file.read_via_stream(0);
                let (_, read) = stream.read(Vec::with_capacity(bytes)).await;
                n_read += u32::from(read.len() == bytes);
            }
            printed = format!("{n_read}\n").into();
        }
        ("write", [path, words]) => {
            let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
            let file = open(path, how, DescriptorFlags::WRITE).await?;
            write(|data| file.write_via_stream(data, 0), (*words).into()).await?;
        }
        ("append", [path, words]) => {
            let file = open(path, NOTHING, DescriptorFlags::WRITE).await?;
            write(|data| file.append_via_stream(data), (*words).into()).await?;
        }
        ("truncate", [path]) => {
            let how = OpenFlags::CREATE | OpenFlags::TRUNCATE;
            open(path, how, DescriptorFlags::WRITE).await?;
        }
        ("resize", [path, size]) => {
            let file = open(path, NOTHING, DescriptorFlags::WRITE).await?;
            let size = size.parse().map_err(text)?;
            file.set_size(size).await.map_err(text)?;
            file.sync_data().await.map_err(text)?;
            file.sync().await.map_err(text)?;
        }
        ("list", [path]) => {
            let folder = open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ).await?;
            let (mut stream, ended) = folder.read_directory();
            let mut names = Vec::new();
            while let Some(entry) = stream.next().await {
                names.push(entry.name);
            }
            ended.await.map_err(text)?;
            names.sort();
            printed = names
                .iter()
                .flat_map(|name| format!("{name}\n").into_bytes())
                .collect();
        }
        ("mkdir", [path]) => {
            let Place { folder, path } = Place::find(path)?;
            folder.create_directory_at(path).await.map_err(text)?;
        }
        ("rmdir", [path]) => {
            let Place { folder, path } = Place::find(path)?;
            folder.remove_directory_at(path).await.map_err(text)?;
        }
        ("remove", [path]) => {
            let Place { folder, path } = Place::find(path)?;
            folder.unlink_file_at(path).await.map_err(text)?;
        }
        ("rename", [from, to]) => {
            let (from, to) = (Place::find(from)?, Place::find(to)?);
            let renamed = from.folder.rename_at(from.path, &to.folder, to.path);
            renamed.await.map_err(text)?;
        }
        ("link", [original, link]) => {
            let (original, link) = (Place::find(original)?, Place::find(link)?);
            let none = PathFlags::empty();
            let linked = original
                .folder
                .link_at(none, original.path, &link.folder, link.path);
            linked.await.map_err(text)?;
        }
        ("symlink", [original, link]) => {
            let Place { folder, path } = Place::find(link)?;
            let linked = folder.symlink_at((*original).to_owned(), path);
            linked.await.map_err(text)?;
        }
        ("readlink", [path]) => {
            let Place { folder, path } = Place::find(path)?;
            printed = folder.readlink_at(path).await.map_err(text)?.into();
        }
        // Sets the times of what the name leads to; with another word, those of a link itself.
        ("touch", [path, seconds, rest @ ..]) => {
            let time = NewTimestamp::Timestamp(Instant {
                seconds: seconds.parse().map_err(text)?,
                nanoseconds: 0,
            });
            let flags = if rest.is_empty() {
                FOLLOW
            } else {
                PathFlags::empty()
            };
            let Place { folder, path } = Place::find(path)?;
            let set = folder.set_times_at(flags, path, time, time);
            set.await.map_err(text)?;
        }
        ("stat", [path]) => printed = stat(path).await.map_err(text)?.into(),
        // Opens the file so many times at once.
        ("hoard", [path, count]) => {
            let mut files = Vec::new();
            for _ in 0..count.parse().map_err(text)? {
                files.push(open(path, NOTHING, DescriptorFlags::READ).await?);
            }
            printed = format!("{}\n", files.len()).into();
        }
        _ => return Ok(None),
    }
    Ok(Some(printed))
}

/// The size of a file, its time and its kind, which it has by its name too.
async fn stat(path: &str) -> Result<String, ErrorCode> {
    let place = Place::find(path).map_err(|_| ErrorCode::NoEntry)?;
    let file = place.open(NOTHING, DescriptorFlags::READ).await;
    let file = file.map_err(|_| ErrorCode::NoEntry)?;
    let Place { folder, path } = place;
    let stat = file.stat().await?;
    assert_eq!(stat.size, folder.stat_at(FOLLOW, path.clone()).await?.size);
    let (one, other) = (
        file.metadata_hash().await?,
        folder.metadata_hash_at(FOLLOW, path).await?,
    );
    assert_eq!((one.lower, one.upper), (other.lower, other.upper));
    assert!(file.is_same_object(&file).await && !file.is_same_object(&folder).await);
    assert!(file.get_flags().await?.contains(DescriptorFlags::READ));
    file.advise(0, stat.size, Advice::Sequential).await?;
    let time = NewTimestamp::NoChange;
    // It was opened for reading, and is changed in nothing.
    let _ = file.set_times(time, time).await;
    let modified = stat.data_modification_timestamp.map(|time| time.seconds);
    Ok(format!(
        "{} {modified:?} {:?}\n",
        stat.size,
        file.get_type().await?
    ))
}
