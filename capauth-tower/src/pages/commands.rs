//! Commands to copy: they sign exactly the lines of a challenge, and print the signature.

use capauth_protocol::Fingerprint;

/// For sh, bash, zsh and their kin.
pub(super) fn posix(payload: &str, key: &Fingerprint) -> String {
    let lines: Vec<_> = payload.split('\n').collect();
    let format = vec!["%s"; lines.len()].join(r"\n");
    let lines: Vec<_> = lines.iter().map(|line| format!("'{}'", line.replace('\'', r"'\''"))).collect();
    format!("printf '{format}' {} | gpg --armor --detach-sign --local-user {key}", lines.join(" "))
}

/// For PowerShell, whose pipes change line ends: the text goes through a file.
pub(super) fn powershell(payload: &str, key: &Fingerprint) -> String {
    let lines: Vec<_> = payload.split('\n').map(|line| format!("'{}'", line.replace('\'', "''"))).collect();
    format!(
        "$f = [IO.Path]::GetTempFileName(); [IO.File]::WriteAllText($f, ({} -join \"`n\")); \
         gpg --armor --detach-sign --local-user {key} --output - $f; Remove-Item $f",
        lines.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    #[test]
    fn a_shell_prints_the_very_lines() {
        let text =
            "CAPAUTH_NONCE_V2\nnonce=a\nclient_nonce=A+/=\norigin=https://[::1]:80\nservice=$(id)`id`'\\n%s!";
        let command = posix(text, &KEY.parse().unwrap());
        let (print, sign) = command.split_once(" | ").unwrap();
        assert_eq!(sign, format!("gpg --armor --detach-sign --local-user {KEY}"));
        for shell in ["sh", "bash"] {
            let output = Command::new(shell).args(["-c", print]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{shell}");
        }
    }

    #[test]
    fn powershell_writes_the_very_lines() {
        let command = powershell("a\nb'$x", &KEY.parse().unwrap());
        assert!(command.contains("WriteAllText($f, ('a', 'b''$x' -join \"`n\"))"), "{command}");
        assert!(command.contains(&format!("--local-user {KEY} --output - $f")), "{command}");
    }
}
