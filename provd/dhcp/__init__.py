"""What a DHCP server has to tell phones, from one table: snippets for ISC dhcpd, Kea and dnsmasq."""
