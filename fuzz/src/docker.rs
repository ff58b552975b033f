//! docker command lines: split as a shell does, then understood or refused with an exit code of Docker's client. What a
//! daemon then does with them is not looked at here.

use linkspan::docker::cli;
use linkspan::docker::profile::Profile;

/// Lines of commands.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines().take(8) {
        let words = match cli::words::split(line) {
            Ok(words) => words,
            Err(error) => {
                let characters = line.chars().count();
                assert!((1..=characters.max(1)).contains(&error.column), "{error} of {characters}");
                continue;
            }
        };
        match cli::parse(&words) {
            Ok(command) => {
                for profile in [Profile::Docker20_10, Profile::Docker28, Profile::Docker29] {
                    if let Err(error) = cli::check_api_version(&command, profile) {
                        refused(&error);
                    }
                }
                let program = words.iter().take_while(|word| *word == "docker").count();
                assert_eq!(cli::parse(&words[program..]), Ok(command), "`docker` in front changes nothing");
            }
            Err(error) => refused(&error),
        }
    }
}

fn refused(error: &cli::CliError) {
    assert!(!error.to_string().is_empty());
    let help = matches!(error, cli::CliError::Help { .. });
    assert_eq!(error.exit_code() == 0, help, "{error}");
    assert!([0, 1, 125].contains(&error.exit_code()));
}
